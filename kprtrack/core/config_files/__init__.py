"""Reads config files as data: nothing in a config file is ever executed."""
