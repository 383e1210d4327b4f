"""What commands and the page both show and do, of an opened state and the settings. Prints nothing."""
