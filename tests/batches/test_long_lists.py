"""Text on the terminal for a long list of pairs: those that are not finished, and the file of all others."""

from dataclasses import replace

import pytest

from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.pair_results import MOST_ROWS, PairResult, State, results_as_table


def rows(count):
    return [PairResult(f"{i}", State.DONE, 0, "", "a.tif", "b.tif") for i in range(count)]


@pytest.mark.parametrize(("count", "listed"), [(MOST_ROWS, MOST_ROWS), (MOST_ROWS + 1, 1)])
def test_a_long_list_names_what_is_not_finished(count, listed):
    results = rows(count)
    results[7] = replace(results[7], state=State.FAILED, exit_status=2, why="no grid")
    assert results_as_table(results).row_count == listed
    remarks = BatchReport(results, None, None, []).remarks()
    assert f"1 of {count} pairs failed; the others are done." in remarks
    assert (f"{count - 1} pairs finished: summary.csv has a row for each." in remarks) is (listed == 1)
