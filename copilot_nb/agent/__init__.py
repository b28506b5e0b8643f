"""What an agent may see and do in a notebook, as pure functions: no SDK, no IPython, no threads."""
