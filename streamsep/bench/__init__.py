"""How long a hop takes, how fast a file goes, how much memory it takes: measured on the engine. Control side."""
