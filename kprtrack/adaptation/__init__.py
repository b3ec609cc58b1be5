"""Adapt the ReID encoder in the package to own footage: `kprtrack adapt`."""
