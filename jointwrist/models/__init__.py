"""The joint network and its parts."""
