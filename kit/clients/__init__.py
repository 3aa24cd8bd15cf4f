"""The templates: copy one, or huggingface.py with its folder, into your own project."""
