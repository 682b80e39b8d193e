"""Load a file of DAGs in Airflow, and print its errors, and the retries of each task of each DAG, as JSON.

    python airflow_dagbag.py FILE

Runs in an environment with Airflow, which is not that of the tests.
"""

import json
import sys


def main():
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(sys.argv[1])
    dags = {name: {task.task_id: task.retries for task in dag.tasks} for name, dag in bag.dags.items()}
    print(json.dumps({"errors": bag.import_errors, "dags": dags}))


if __name__ == "__main__":
    main()
