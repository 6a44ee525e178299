"""Hostile and random inputs at three levels: records, record batches on a broker, and sequences of events."""
