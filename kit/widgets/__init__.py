"""Views for notebooks: they show plain state objects and hold no rules of their own."""
