"""The web face of Citewell: a chat page with a sources panel. Holds no names; ``ui.web.app`` has ``serve``."""
