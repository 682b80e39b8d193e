"""Report page of a job: `report.html`, one file with pictures, list and record of its changes."""
