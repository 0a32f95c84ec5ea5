"""Server benchmarks: the same raw-socket clients against our server and its peers, as ratios from one run."""
