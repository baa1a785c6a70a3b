"""The pictures while a run trains; each hook looks, and changes nothing."""
