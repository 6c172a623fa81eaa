"""Evaluation: metrics, matching, protocols and reports."""
