"""The file formats of conversations: Markdown, HTML, JSON and notebooks."""
