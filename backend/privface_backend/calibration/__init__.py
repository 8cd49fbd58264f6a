"""How strongly cameras may blur before the household's own people are no longer known: measured, chosen, applied."""
