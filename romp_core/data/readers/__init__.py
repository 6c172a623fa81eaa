"""Readers: the official files of public data sets as `Sample` records."""

from romp_core.data.readers.records import Problems, Record, RecordSet
from romp_core.data.readers.registry import READERS, open_data_set

__all__ = ["READERS", "Problems", "Record", "RecordSet", "open_data_set"]
