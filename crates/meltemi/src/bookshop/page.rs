//! The storefront's pages as HTML.

use std::fmt::Write as _;

use super::storefront::{BookPage, Item};

/// All books, each a link to its page.
pub(super) fn list(books: &[Item]) -> String {
    let mut rows = String::new();
    for book in books {
        let Item { id, year, .. } = book;
        let (title, author) = (escape(&book.title), escape(&book.author));
        let _ = writeln!(
            rows,
            "<li><a href=\"/books/{id}\">{title}</a>, {author}, {}: {}</li>",
            era(*year),
            price(book.price_cents)
        );
    }
    document("Bookshop", &format!("<ul>\n{rows}</ul>"))
}

/// One book with its reviews.
pub(super) fn book(page: &BookPage) -> String {
    let mut rows = String::new();
    let colour = page.reviews.colour.as_deref().unwrap_or("black");
    for review in &page.reviews.reviews {
        let stars = "★".repeat(review.stars.unwrap_or_default().into());
        let _ = writeln!(
            rows,
            "<li>{} <span style=\"color:{}\">{stars}</span> - {}</li>",
            escape(&review.text),
            escape(colour),
            escape(&review.reader)
        );
    }
    let book = &page.book;
    let about = format!(
        "<p>{}, {}: {}</p>\n<ul>\n{rows}</ul>\n<p><a href=\"/\">All books</a></p>",
        escape(&book.author),
        era(book.year),
        price(book.price_cents)
    );
    document(&book.title, &about)
}

fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
    )
}

fn era(year: i32) -> String {
    if year < 0 { format!("{} BCE", -year) } else { year.to_string() }
}

fn price(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bookshop::Edition;
    use crate::bookshop::reviews::{Review, ReviewsOfBook};

    fn item() -> Item {
        let (title, author) = ("A <b> & \"c\"".to_owned(), "Nobody".to_owned());
        Item { id: 7, title, author, year: -44, price_cents: 1205 }
    }

    #[test]
    fn the_list_links_to_each_book_and_escapes_what_it_shows() {
        let html = list(&[item()]);
        let row = "<a href=\"/books/7\">A &lt;b&gt; &amp; &quot;c&quot;</a>, Nobody, 44 BCE: 12.05";
        assert!(html.contains(row), "{html}");
    }

    #[test]
    fn a_books_page_has_as_many_stars_as_its_reader_gave() {
        let review = |text: &str, stars| Review { reader: "r".into(), text: text.into(), stars };
        let reviews = ReviewsOfBook {
            book: 7,
            version: Edition::V3,
            colour: Some("red".into()),
            reviews: vec![review("good", Some(4)), review("<bad>", None)],
        };
        let html = book(&BookPage { book: item(), reviews });
        assert!(html.contains("good <span style=\"color:red\">★★★★</span>"), "{html}");
        assert!(html.contains("&lt;bad&gt; <span style=\"color:red\"></span>"), "{html}");
    }
}
