"""From a request to its handler: paths, routes, the dispatcher, and ways to declare them."""
