"""Reference implementations, made-up inputs and a clock, for the scripts tools/measure_*.py."""
