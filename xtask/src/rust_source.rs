//! A Rust file as tokens, string literals and comments, each with its line.
//!
//! Just enough of the language for house rules: code is told from comments and strings, and test
//! code from the rest. It never fails; a file rustc would refuse gives tokens all the same.

use std::ops::RangeInclusive;

/// An identifier, `::`, one character of punctuation, or [`LITERAL`] where a string stands.
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The text of a string literal, without its quotes; `token` is its place among the tokens.
pub(crate) struct Literal {
    pub(crate) line: usize,
    pub(crate) token: usize,
    pub(crate) text: String,
}

/// One line of a comment.
pub(crate) struct Comment {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Stands among the tokens for a string literal.
pub(crate) const LITERAL: &str = "\"";

/// A file taken apart.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) tokens: Vec<Token>,
    pub(crate) literals: Vec<Literal>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) lines: usize,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let mut lexer = Lexer { rest: text, line: 1, found: Self::default() };
        while !lexer.rest.is_empty() {
            lexer.step();
        }
        let mut source = lexer.found;
        source.lines = text.lines().count();
        source.tests = source.test_items();
        source
    }

    /// Whether this line belongs to an item under `#[cfg(test)]`.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    /// The text of a token, or nothing past the end.
    pub(crate) fn at(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| token.text.as_str())
    }

    /// The text of the token `back` places before `index`, or nothing before the start.
    pub(crate) fn before(&self, index: usize, back: usize) -> &str {
        index.checked_sub(back).map_or("", |index| self.at(index))
    }

    /// Every token that is not test code, with its index.
    pub(crate) fn product_tokens(&self) -> impl Iterator<Item = (usize, &Token)> {
        self.tokens.iter().enumerate().filter(|(_, token)| !self.is_test(token.line))
    }

    fn matches(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(offset, text)| self.at(at + offset) == *text)
    }

    fn test_items(&self) -> Vec<RangeInclusive<usize>> {
        const OUTER: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
        const INNER: [&str; 8] = ["#", "!", "[", "cfg", "(", "test", ")", "]"];
        let mut found = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            if self.matches(index, &INNER) {
                found.push(1..=self.lines.max(1));
            } else if self.matches(index, &OUTER) {
                found.push(token.line..=self.item_end(index + OUTER.len()));
            }
        }
        found
    }

    /// The last line of the item at `index`: its closing brace, or its semicolon.
    fn item_end(&self, mut index: usize) -> usize {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(index) {
            match token.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(token.text.as_str(), "}" | ";") {
                return token.line;
            }
            index += 1;
        }
        self.lines
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Source,
}

impl<'a> Lexer<'a> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(end);
        } else if self.rest.starts_with("/*") {
            self.comment(block_comment_len(self.rest));
        } else if let Some(quotes) = quotes(self.rest) {
            self.string(&quotes);
        } else if let Some(len) = char_len(self.rest) {
            self.take(len);
        } else if self.rest.starts_with("::") {
            self.token(2);
        } else {
            self.word_or_mark();
        }
    }

    fn word_or_mark(&mut self) {
        let rest = self.rest.strip_prefix("r#").unwrap_or(self.rest);
        self.rest = rest;
        let len = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        match rest.chars().next() {
            Some(first) if first.is_ascii_digit() => {
                self.take(len);
            }
            Some(first) if is_word(first) => self.token(len),
            Some(first) if first.is_whitespace() => {
                self.take(first.len_utf8());
            }
            Some(first) => self.token(first.len_utf8()),
            None => {}
        }
    }

    /// Steps over `len` bytes, counting lines.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    fn token(&mut self, len: usize) {
        let line = self.line;
        let text = self.take(len).to_owned();
        self.found.tokens.push(Token { line, text });
    }

    fn comment(&mut self, len: usize) {
        let first = self.line;
        let lines = self.take(len).lines().enumerate();
        let comments = lines.map(|(i, text)| Comment { line: first + i, text: text.to_owned() });
        self.found.comments.extend(comments);
    }

    fn string(&mut self, quotes: &Quotes) {
        let line = self.line;
        self.take(quotes.open_len);
        let end = if quotes.is_raw {
            self.rest.find(&quotes.close).unwrap_or(self.rest.len())
        } else {
            escaped_len(self.rest)
        };
        let text = self.take(end).to_owned();
        self.take(quotes.close.len().min(self.rest.len()));
        let token = self.found.tokens.len();
        self.found.tokens.push(Token { line, text: LITERAL.to_owned() });
        self.found.literals.push(Literal { line, token, text });
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How a string literal opens and closes.
struct Quotes {
    open_len: usize,
    close: String,
    is_raw: bool,
}

/// The quotes of the string literal that starts here, if one does: `"`, `b"`, `r#"`, `cr"`, …
fn quotes(rest: &str) -> Option<Quotes> {
    let bare = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let prefix = rest.len() - bare.len();
    if bare.starts_with('"') {
        return Some(Quotes { open_len: prefix + 1, close: "\"".into(), is_raw: false });
    }
    let after_r = bare.strip_prefix('r')?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let opens = after_r.trim_start_matches('#').starts_with('"');
    let close = format!("\"{}", "#".repeat(hashes));
    opens.then_some(Quotes { open_len: prefix + hashes + 2, close, is_raw: true })
}

/// Bytes up to the closing quote, stepping over what a backslash escapes.
fn escaped_len(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index,
            _ => {}
        }
    }
    rest.len()
}

/// Bytes of a character literal or a lifetime; neither is of interest.
fn char_len(rest: &str) -> Option<usize> {
    let prefix = usize::from(rest.starts_with("b'"));
    let inside = rest.get(prefix..)?.strip_prefix('\'')?;
    let mut chars = inside.char_indices();
    let (_, first) = chars.next()?;
    let (second_at, second) = chars.next().unwrap_or((inside.len(), ' '));
    if first == '\\' {
        let after = second_at + second.len_utf8();
        let close = inside.get(after..)?.find('\'')?;
        return Some(prefix + 1 + after + close + 1);
    }
    if second == '\'' {
        return Some(prefix + 1 + second_at + 1);
    }
    let name = inside.find(|c: char| !is_word(c)).unwrap_or(inside.len());
    Some(prefix + 1 + name)
}

/// Bytes of a block comment; they nest.
fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let source = Source::new(text);
        source.tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_are_not_code() {
        let text =
            "a // b\n/* c /* d */ e */ f(\"g \\\" h\", r#\"i \" j\"#, b'k', '\\'', 'l') + &'m n";
        assert_eq!(
            words(text),
            ["a", "f", "(", LITERAL, ",", LITERAL, ",", ",", ",", ")", "+", "&", "n"]
        );
    }

    #[test]
    fn tokens_and_literals_know_their_lines() {
        let source = Source::new("one\n\"two\nthree\"\nfour::r#type");
        let lines: Vec<_> = source.tokens.iter().map(|t| (t.line, t.text.as_str())).collect();
        assert_eq!(lines, [(1, "one"), (2, LITERAL), (4, "four"), (4, "::"), (4, "type")]);
        assert_eq!(source.literals[0].text, "two\nthree");
        assert_eq!(source.literals[0].token, 1);
    }

    #[test]
    fn an_item_under_cfg_test_is_test_code_to_its_last_brace() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
        let source = Source::new(text);
        let tests: Vec<_> = (1..=6).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5]);
    }

    #[test]
    fn a_test_module_in_its_own_file_is_one_line_here() {
        let source = Source::new("#[cfg(test)]\nmod tests;\nfn c() {}\n");
        assert!(source.is_test(2));
        assert!(!source.is_test(3));
    }

    #[test]
    fn a_broken_file_still_ends() {
        for text in
            ["\"open", "/* open", "r#\"open", "'", "'\\", "b'", "#[cfg(test)] mod a {", "é'ü"]
        {
            Source::new(text);
        }
    }
}
