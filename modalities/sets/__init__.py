"""Model sets that come with this distribution."""
