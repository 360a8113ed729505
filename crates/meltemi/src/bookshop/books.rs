//! What the shop has on its shelves, and what its readers say.

/// A book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Book {
    /// The catalog's number of it.
    pub id: u32,
    /// Its title.
    pub title: &'static str,
    /// Who wrote it.
    pub author: &'static str,
    /// When; below zero before the common era.
    pub year: i32,
    /// What it costs.
    pub price_cents: u32,
}

/// What a reader thinks of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opinion {
    /// The book.
    pub book: u32,
    /// The name under which the reader writes.
    pub reader: &'static str,
    /// The review.
    pub text: &'static str,
    /// The rating, 1 to 5.
    pub stars: u8,
}

/// The books, by rising id.
pub const BOOKS: [Book; 6] = [
    book(1, "The Odyssey", "Homer", -700, 1290),
    book(2, "The Birds", "Aristophanes", -414, 850),
    book(3, "The Tempest", "William Shakespeare", 1611, 990),
    book(4, "Wuthering Heights", "Emily Brontë", 1847, 1150),
    book(5, "Moby-Dick; or, The Whale", "Herman Melville", 1851, 1690),
    book(6, "Typhoon", "Joseph Conrad", 1902, 780),
];

/// The readers' opinions, two of each book.
pub const OPINIONS: [Opinion; 12] = [
    opinion(1, "skipper", "Ten years for that distance: never open the bag of winds.", 5),
    opinion(1, "weaver", "She unpicks her work each night, and it holds.", 4),
    opinion(2, "hoopoe", "A city in the clouds, long before anybody sold one.", 4),
    opinion(2, "juror", "Everybody wants something from a new town.", 3),
    opinion(3, "boatswain", "The weather in the first scene is excellent.", 5),
    opinion(3, "islander", "All of them come ashore, none of them knocks.", 4),
    opinion(4, "tenant", "Drafty house, difficult landlord.", 3),
    opinion(4, "moorland", "The wind has the best lines.", 5),
    opinion(5, "mate", "More about rope than I knew there was.", 4),
    opinion(5, "clerk", "I would prefer a shorter one.", 2),
    opinion(6, "steersman", "The captain did not turn aside.", 5),
    opinion(6, "engineer", "Keep the pressure up and the door shut.", 4),
];

const fn book(
    id: u32,
    title: &'static str,
    author: &'static str,
    year: i32,
    price_cents: u32,
) -> Book {
    Book { id, title, author, year, price_cents }
}

const fn opinion(book: u32, reader: &'static str, text: &'static str, stars: u8) -> Opinion {
    Opinion { book, reader, text, stars }
}

/// What readers think of a book; empty if there is no such book.
pub fn opinions(book: u32) -> impl Iterator<Item = &'static Opinion> {
    OPINIONS.iter().filter(move |opinion| opinion.book == book)
}
