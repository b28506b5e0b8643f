"""An extension that does nothing: what ``%load_ext`` itself costs."""


def load_ipython_extension(_shell: object) -> None:
    """Do nothing."""
