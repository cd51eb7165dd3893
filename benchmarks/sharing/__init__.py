"""What it costs that agents share nothing by accident: one file for each of its parts."""
