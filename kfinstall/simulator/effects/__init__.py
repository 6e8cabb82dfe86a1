"""What each script does to a simulated node; importing the package registers all of them."""
