"""Samples, data set readers, synthetic people, and what turns them into training batches."""
