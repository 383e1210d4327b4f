"""The page, its API and probes, in the daemon's loop. Nothing here decides or sends: it shows, and passes wishes on."""
