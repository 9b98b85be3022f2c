use russh::keys::{
    PrivateKey,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};

use super::*;

fn key() -> PrivateKey {
    Ed25519Keypair::from_seed(&[7; 32]).into()
}

fn written() -> String {
    key().to_openssh(LineEnding::LF).expect("it can be written").to_string()
}

fn host_key() -> String {
    key().public_key().to_openssh().expect("it can be written").trim().to_owned()
}

/// What is wrong with these settings, in the order of url, token, key, host key.
fn problems(settings: [Option<&str>; 4]) -> Vec<String> {
    let names = ["PACKER_DROP_URL", "PACKER_DROP_TOKEN", "PACKER_DROP_KEY", "PACKER_DROP_HOST_KEY"];
    let lookup = |name: &str| names.iter().zip(settings).find_map(|(known, value)| (*known == name).then_some(value)?.map(str::to_owned));
    let mut problems = Vec::new();
    let settings = Settings::read(lookup, &mut problems);
    problems.extend(settings.place().err().map(|error| error.to_string()));
    problems
}

#[test]
fn a_drop_is_known_by_its_scheme_and_says_which_settings_are_missing() {
    let (key, host) = (written(), host_key());
    let (key, host) = (Some(key.as_str()), Some(host.as_str()));
    let (web, sftp) = (Some("https://drop.example.com"), Some("sftp://raw@drop.example.com:2222/in/raw/"));
    let token = Some("secret");
    for sound in [[None; 4], [web, token, None, None], [sftp, None, key, host], [sftp, token, None, host], [sftp, token, key, host]] {
        assert_eq!(problems(sound), Vec::<String>::new());
    }
    for (wrong, named) in [
        ([web, None, None, None], "PACKER_DROP_TOKEN is not"),
        ([None, token, None, None], "PACKER_DROP_URL is not"),
        ([None, None, key, None], "PACKER_DROP_URL is not"),
        ([web, token, key, None], "begins with sftp://"),
        ([sftp, None, key, None], "PACKER_DROP_HOST_KEY is not"),
        ([sftp, None, None, host], "neither PACKER_DROP_KEY"),
        ([Some("sftp://drop.example.com/in"), None, key, host], "names no user"),
        ([Some("sftp://raw:word@drop.example.com/in"), None, key, host], "holds a password"),
        ([Some("sftp://raw@drop.example.com/a%2fb"), None, key, host], "holds a ?, # or %"),
        ([sftp, None, Some("nonsense"), host], "PACKER_DROP_KEY is no private key"),
        ([sftp, None, key, Some("SHA256:abc")], "PACKER_DROP_HOST_KEY is no public key"),
        ([sftp, None, key, Some(" , ")], "PACKER_DROP_HOST_KEY holds no key"),
    ] {
        let problems = problems(wrong);
        assert!(problems.len() == 1 && problems[0].contains(named), "{named}: {problems:?}");
    }
}

#[test]
fn keys_may_be_written_as_tools_print_them() {
    let one_line = written().trim().replace('\n', "\\n");
    let scanned = format!("drop.example.com {}, {} the old one", host_key(), host_key());
    let url = Some("sftp://raw@drop.example.com");
    assert_eq!(problems([url, None, Some(&one_line), Some(&scanned)]), Vec::<String>::new());
    let settings =
        Settings { url: url.map(str::to_owned), key: Some(Secret::new(one_line)), host_key: Some(scanned), ..Settings::default() };
    let Ok(Some(Place::Sftp(login))) = settings.place() else { panic!("a drop over SFTP") };
    assert_eq!(login.host_keys.len(), 2);
    assert!(login.host_keys.iter().all(|known| known.key_data() == key().public_key().key_data()));
    assert_eq!(
        login.key.as_deref().map(PrivateKey::public_key).map(|public| public.key_data().clone()),
        Some(key().public_key().key_data().clone())
    );
}
