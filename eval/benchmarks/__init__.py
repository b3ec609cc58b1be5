"""Read the files of benchmarks and score tracks on them."""
