"""Measuring recognition on sets of pictures, pairs and clips: what ``privface evaluate`` prints.

The terms and formulas are those of ISO/IEC 19795-1; ``docs/EVALUATION.md`` says what each measure means.
"""

from typing import Final

CACHE_FOLDER: Final = "evaluation-cache"
"""Where embeddings are kept, in the data directory; whoever forgets a person empties it."""
