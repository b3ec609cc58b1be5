"""Commands about identities: across videos, in a gallery, and corrected by hand."""
