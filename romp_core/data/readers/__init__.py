"""Readers: the official files of public data sets as `Sample` records."""
