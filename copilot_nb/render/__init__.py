"""Renders transcripts and tables as HTML and plain text; only here does untrusted text become markup."""
