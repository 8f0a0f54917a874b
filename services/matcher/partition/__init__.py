"""A partition at work: taken, recovered, answered in transactions, let go of. Which partitions are ours is the app's business."""
