"""Commands about who is who: across videos, in a gallery, and corrected by hand."""
