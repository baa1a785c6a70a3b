"""The pictures, as functions: data in, pixels out. ``hooks`` draws them while a run trains, ``commands`` afterwards."""
