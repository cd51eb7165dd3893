"""What is measured of each primitive; `benchmarks.orchestration` runs them together."""
