"""Distinct ways to fill the sites of a host: counted, enumerated, sampled, merged into crystals."""
