//! The names that an image gets.

use model::ImageReference;

use crate::grpc::Status;

/// Names of one image.
const NAME_LIMIT: usize = 128;

/// Parses names between commas; each gets a tag.
///
/// # Errors
/// `InvalidArgument` for what is no name, or names a digest.
pub(super) fn parse(text: &str) -> Result<Vec<ImageReference>, Status> {
    let texts: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if texts.len() > NAME_LIMIT {
        return Err(Status::invalid(format!("an image gets at most {NAME_LIMIT} names")));
    }
    let parse = |text: &str| {
        let name = ImageReference::parse(text);
        let name = name.map_err(|error| Status::invalid(error.to_string()))?.with_default_tag();
        match name.digest {
            None if name.repository.check_new().is_err() => {
                Err(Status::invalid(format!("{text:?} could be taken for an image's id")))
            }
            Some(_) => Err(Status::invalid(format!("{text:?} names a digest, which no build can choose"))),
            None => Ok(name),
        }
    };
    texts.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole() {
        let names = parse("a, x/b:c ,host:5000/d,docker.io/library/e").expect("names");
        let whole: Vec<String> = names.iter().map(|name| model::qualified(&name.to_string())).collect();
        assert_eq!(
            whole,
            [
                "docker.io/library/a:latest",
                "docker.io/x/b:c",
                "host:5000/d:latest",
                "docker.io/library/e:latest"
            ]
        );
    }
}
