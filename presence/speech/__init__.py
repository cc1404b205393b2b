"""What the avatar says: sound of any source as segments on one clock; knows no room and no picture."""
