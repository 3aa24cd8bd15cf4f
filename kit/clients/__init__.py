"""The templates, to copy into your own project: each file stands alone, and the folder needs huggingface.py."""
