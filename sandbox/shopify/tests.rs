mod delivered;
mod documents;
