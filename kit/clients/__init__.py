"""The templates: each file here stands alone, so that you can copy it into your own project."""
