"""What is done to training images, in batches on the device."""
