"""Measuring recognition on sets of pictures, pairs and clips: what ``privface evaluate`` prints.

The terms and formulas are those of ISO/IEC 19795-1; ``docs/EVALUATION.md`` says what each measure means.
"""
