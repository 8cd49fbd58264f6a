"""Whether a frame can be what its card says: none has more detail than its anonymization leaves."""
