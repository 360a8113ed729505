use meltemi_identity::ca::Authority;
use meltemi_names::TrustDomain;
use meltemi_wire::transport::Target;
use parking_lot::Mutex;
use tonic::Status;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A control plane that is found at an address where nobody listens, or not at all.
#[derive(Debug)]
struct Known(Option<Located>);

impl ControlPlane for Known {
    fn locate(&self) -> Result<Located, String> {
        self.0.clone().ok_or_else(|| "it does not run".into())
    }

    fn token(&self) -> Result<String, String> {
        Ok("token".into())
    }
}

struct Ca {
    authority: Authority,
    _dir: tempfile::TempDir,
}

impl Ca {
    fn new() -> Ca {
        let dir = tempfile::tempdir().unwrap();
        let domain: TrustDomain = "cluster.local".parse().unwrap();
        let authority = Authority::open_or_create(dir.path(), domain, SystemTime::now()).unwrap();
        Ca { authority, _dir: dir }
    }

    fn located(&self) -> Located {
        // Port 1 is privileged: nothing of a test can listen there.
        let target: Target = "127.0.0.1:1".parse().unwrap();
        let trust_domain = self.authority.trust_domain().clone();
        Located { target, bundle: self.authority.bundle(), trust_domain }
    }

    fn save(&self, account: &str, now: SystemTime, dir: &Path) {
        let id = SpiffeId::new(self.authority.trust_domain().clone(), "shop", account).unwrap();
        let key = meltemi_identity::key::generate().unwrap();
        let csr = meltemi_identity::csr::create(&key, &id).unwrap();
        let chain = self.authority.sign(&csr, &id, HOUR, now).unwrap().concat();
        let svid = Svid::from_pem(&chain, &key.to_pem()).unwrap();
        rotate::save(&svid, &self.authority.bundle(), dir).unwrap();
    }
}

fn joining(control: Known) -> Joining {
    Joining {
        control: Arc::new(control),
        namespace: "shop".into(),
        service_account: "reviews".into(),
        life: HOUR,
    }
}

#[test]
fn a_kept_certificate_is_used_if_it_is_ours_alive_and_of_this_mesh() {
    let (ours, other) = (Ca::new(), Ca::new());
    let now = SystemTime::now();
    for (account, located, at, expected) in [
        ("reviews", Some(ours.located()), now, true),
        ("reviews", None, now, true),
        ("ratings", None, now, false),
        ("reviews", None, now + 2 * HOUR, false),
        ("reviews", Some(other.located()), now, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        ours.save(account, now, dir.path());
        let case = format!("{account} {}", located.is_some());
        let kept = joining(Known(located)).kept(dir.path(), at);
        assert_eq!(kept.is_some(), expected, "{case}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(joining(Known(None)).kept(empty.path(), now).is_none());
}

#[test]
fn a_refusal_is_final_and_an_absence_is_not() {
    let refused = |status: Status| {
        let error = CertificateError::Refused(Box::new(status));
        setback(ObtainError::Signer(Box::new(error)))
    };
    let text = || "why".to_owned();
    assert_eq!(refused(Status::unauthenticated("why")), Setback::Refused(text()));
    assert_eq!(refused(Status::permission_denied("why")), Setback::Refused(text()));
    assert_eq!(refused(Status::invalid_argument("why")), Setback::Refused(text()));
    assert_eq!(refused(Status::unavailable("why")), Setback::Away(text()));
    assert_eq!(refused(Status::internal("why")), Setback::Away(text()));
    let unknown = Box::new(Unknown(text()));
    assert_eq!(setback(ObtainError::Signer(unknown)), Setback::Away(text()));
    let bad_token = setback(ObtainError::Signer(Box::new(CertificateError::Token)));
    assert!(matches!(bad_token, Setback::Refused(_)), "{bad_token:?}");
}

#[tokio::test(start_paused = true)]
async fn while_the_control_plane_is_away_a_reason_is_told_once() {
    let told = Mutex::new(Vec::new());
    let joining = joining(Known(None));
    let attempts = joining.obtain(|reason| told.lock().push(reason.to_owned()));
    let hour = tokio::time::timeout(HOUR, attempts).await;
    assert!(hour.is_err(), "it ends only with a certificate or a refusal");
    assert_eq!(*told.lock(), ["it does not run"]);
}

#[tokio::test]
async fn where_nobody_listens_the_reason_says_so() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let joining = joining(Known(Some(Ca::new().located())));
    let reason = tokio::select! {
        obtained = joining.obtain(|reason| tell.try_send(reason.to_owned()).unwrap()) => {
            panic!("{obtained:?}")
        }
        reason = told.recv() => reason.unwrap(),
    };
    assert!(reason.contains("127.0.0.1:1") && reason.contains("refused"), "{reason}");
}
