"""Parts of `tools/fuzz.py` and `tools/kill.py`: inputs, mutations, and runs in limited processes."""
