"""Stands before the package of this name: jsonschema, which AutoGen imports, does without it.

The real one compiles a grammar for international addresses whenever it is imported, which takes longer than
all the rest of AutoGen, and the tests import AutoGen in some hundred processes.
"""

raise ImportError("left out in the tests")
